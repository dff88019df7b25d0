import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take longest, so that no worker is left alone with one of them at the end. */
const FIRST = ['kubernetes/watches', 'kubernetes/contract', 'kubernetes/rights', 'kubernetes/features'];
/** Those that measure tenths of a second: towards the end fewer lanes share the machine. */
const LAST = ['engine/swarm', 'engine/hot-reload', 'engine/gates', 'engine/wake', 'kubernetes/wake'];

/** The order of the test files of one run; what is not named here comes in vitest's own order. */
export class FileOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => placeOf(a) - placeOf(b));
  }
}

/** Negative for the first ones, positive for the last ones, 0 for all others. */
function placeOf({ moduleId }: TestSpecification): number {
  const isIt = (name: string) => moduleId.endsWith(`/${name}.test.ts`);
  const [first, last] = [FIRST.findIndex(isIt), LAST.findIndex(isIt)];
  return first >= 0 ? first - FIRST.length : last + 1;
}
