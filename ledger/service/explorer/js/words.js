// The terms of tasks and charters in plain words.

import { count, many, ratio, span, time } from './format.js';

const length = (windows, n) => (windows.unit === 'seconds' ? span(n) : many(n, 'entry', 'entries'));

export const PROVER = {
  contributor: 'Contributors prove themselves: the set is opened to them after they committed, and is of no use for later commitments.',
  evaluator: 'The evaluator proves for the contributors; the set stays with the evaluator, so rounds can follow one another.',
};

const RULE = {
  gain: (p) => `Pays at once, in proportion to the gain over the best credited accuracy: only for a gain of more than ${ratio(p.eta)}, in whole steps of ${ratio(p.eta)}. A perfect model would take the whole pool.`,
  best: () => 'Pays the whole pool to the best accuracy when the task closes; of equals, to the first.',
  equal: () => 'Pays everyone who passed the same share of the pool when the task closes.',
};

/** Return the policy of a task as sentences. */
export function policyWords(policy) {
  const w = policy.windows;
  const words = [
    Object.hasOwn(RULE, policy.rule) ? RULE[policy.rule](policy) : `Pays by the rule \u201c${policy.rule}\u201d, which this page does not know.`,
    `Never pays more than ${many(policy.pool, 'unit')} in all.`,
    policy.minimum_accuracy[0] === 0 ? 'Asks for no minimum accuracy.' : `Refuses proofs of less than ${ratio(policy.minimum_accuracy)}.`,
    `Takes at most ${many(policy.submissions_per_identity, 'proof')} from one identity and ${count(policy.openings)} from all, so that scores cannot be used to learn the hidden set.`,
  ];
  if (policy.bond > 0) words.push(`A contributor must bond ${many(policy.bond, 'unit')} before committing a model.`);
  if (policy.evaluator_bond > 0) {
    words.push(`The evaluator must bond ${many(policy.evaluator_bond, 'unit')} before any model is committed, and loses them if the set is not released in time or is not the one that was committed.`);
  }
  words.push(w.commit ? `Models are committed for ${length(w, w.commit)}; the set is not released before.` : 'Models are committed until the set is released; there is no deadline.');
  if (w.release) words.push(`The set must be released within ${length(w, w.release)} after that.`);
  words.push(w.prove ? `Proofs are taken for ${length(w, w.prove)} after the release.` : 'Proofs are taken for ever after the release.');
  return words;
}

/** Say when a position of the log comes: an index of an entry, or a time. */
export const position = (unit, at) => (unit === 'seconds' ? time(at) : `entry #${count(at)}`);

/** Return the charter as sentences. */
export const charterWords = (charter) => [
  charter.threshold === 1 && charter.governors.length === 1
    ? 'One governor alone can change this charter.'
    : `${count(charter.threshold)} of ${many(charter.governors.length, 'governor')} must approve a change of this charter.`,
  'A new charter counts for tasks opened later, and never for open ones.',
  `${charter.task_owners.length === 1 ? 'One identity' : `${count(charter.task_owners.length)} identities`} may open tasks. Tasks mint units, so this is who can make them.`,
  charter.max_pool === Number.MAX_SAFE_INTEGER ? 'What one task may mint has no limit here.' : `One task may mint at most ${many(charter.max_pool, 'unit')}.`,
  charter.bond_entries > 0
    ? `A bond to the ledger itself can be taken back ${many(charter.bond_entries, 'entry', 'entries')} after notice; until then a fault can cost it.`
    : 'A bond to the ledger itself can be taken back right after notice.',
  `Who shows a fault gets ${ratio(charter.finder_share)} of the bond; the rest is destroyed.`,
];
