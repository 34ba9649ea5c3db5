// Compiles contracts with npm's solc, which nobody but their authors needs:
//   npm install --no-save solc@0.8.30 && node build.mjs             -> ../compiled/ZkpotLedger.json
//   node build.mjs verifier.sol Halo2Verifier verifier.json         -> a task's own verifier
import fs from "node:fs";
import path from "node:path";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
// Resolved from the working directory: the package is installed wherever the caller likes.
const solc = createRequire(path.join(process.cwd(), "x.js"))("solc");

function compile(files, contract, viaIR) {
  const sources = {};
  for (const file of files) {
    sources[path.basename(file)] = { content: fs.readFileSync(file, "utf8") };
  }
  const settings = {
    // Shanghai: chains that lack Cancun's instructions can run it too.
    evmVersion: "shanghai",
    optimizer: { enabled: true, runs: 200 },
    viaIR,
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { [contract]: ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  };
  const out = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings })));
  const faults = (out.errors ?? []).filter((e) => e.severity === "error" || viaIR);
  for (const fault of faults) console.error(fault.formattedMessage);
  if (faults.length) process.exit(1);
  const made = Object.values(out.contracts).map((c) => c[contract]).find(Boolean);
  const digests = Object.fromEntries(
    Object.entries(sources).map(([n, s]) => [n, createHash("sha256").update(s.content).digest("hex")]),
  );
  return {
    contract,
    compiler: solc.version(),
    settings: { evmVersion: settings.evmVersion, optimizer: settings.optimizer, viaIR },
    sources: digests,
    abi: made.abi,
    bytecode: made.evm.bytecode.object,
    runtime: made.evm.deployedBytecode.object,
  };
}

const [source, contract, target] = process.argv.slice(2);
const mine = source === undefined;
const files = mine
  ? fs.readdirSync(here).filter((f) => f.endsWith(".sol")).sort().map((f) => path.join(here, f))
  : [source];
// ezkl's one assembly block is too large for the newer pipeline.
const made = compile(files, mine ? "ZkpotLedger" : contract, mine);
const place = mine ? path.join(here, "..", "compiled", "ZkpotLedger.json") : target;
fs.writeFileSync(place, JSON.stringify(made, null, 1) + "\n");
console.log(`${made.contract}: ${made.runtime.length / 2} bytes of 24576, ${made.compiler}`);
