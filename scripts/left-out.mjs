/** Tests that could not run must be seen, and on a build server they must not pass for tests that passed. */

/**
 * Says loudly that tests were left out.
 * @param {string} what for example `engine tests`.
 * @param {{ reason: string, remedy: string, wasAskedFor: boolean }} options
 * @returns {string} the step's result, for people.
 * @throws {Error} where nothing else was asked for, or `CI` is set.
 */
export function reportLeftOut(what, { reason, remedy, wasAskedFor }) {
  const lines = [`THE ${what.toUpperCase()} DID NOT RUN.`, `Why: ${reason}.`, `To run them: ${remedy}.`];
  const ruler = '!'.repeat(80);
  console.log([ruler, ...lines, ruler].join('\n'));
  if (wasAskedFor || ['true', '1'].includes(process.env.CI ?? '')) throw new Error(`${what}: ${reason}`);
  return 'did not run';
}
