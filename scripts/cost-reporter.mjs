/** Writes down, one JSON line each, what the test files cost: the time they took, and that of the processors. */
import { appendFileSync } from 'node:fs';

export default class CostReporter {
  onTestModuleEnd(module) {
    const { duration, collectDuration, setupDuration } = module.diagnostic();
    const { processorMs = 0 } = module.meta();
    const file = module.relativeModuleId;
    const cost = { file, wallMs: Math.round(duration + collectDuration + setupDuration), processorMs };
    appendFileSync(process.env.LAZY_PROXY_TEST_COSTS, `${JSON.stringify(cost)}\n`);
  }
}
