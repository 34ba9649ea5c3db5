"""Circuits and SRS files that the attacks share, each made once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from circuits.halo2 import srs as srs_files
from circuits.halo2.srs import SrsInfo
from circuits.network import Add, Architecture, Conv2d, Dense, Flatten, MaxPool, NumberFormat
from circuits.network import Relu, SumPool, parameter_shapes
from circuits.weights import Weights

from attacks.lab import Bench, bench, circuit_for
