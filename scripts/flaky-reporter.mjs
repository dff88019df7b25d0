/** Writes down, one JSON line each, the tests that failed first and passed when they were tried again, with the reason. */
import { appendFileSync } from 'node:fs';

export default class FlakyReporter {
  onTestCaseResult(test) {
    if (!test.diagnostic()?.flaky) return;
    const name = `${test.module.relativeModuleId} > ${test.fullName}`;
    // A property names its seed in the second line.
    const reason = (test.result().errors?.[0]?.message ?? '').split('\n', 2).join(' ');
    appendFileSync(process.env.LAZY_PROXY_FLAKY_TESTS, `${JSON.stringify(`${name}: ${reason}`)}\n`);
  }
}
