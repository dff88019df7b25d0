import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** They measure tenths of a second, and towards the end fewer lanes share the machine. */
const LAST = [
  ...['engine/swarm', 'engine/hot-reload', 'engine/gates', 'engine/wake'],
  ...['kubernetes/replicas', 'kubernetes/wake'],
];

/** The order of the test files of one run: vitest's own, but for those that are to be the last ones. */
export class FileOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => placeOf(a) - placeOf(b));
  }
}

/** 0 for most. */
function placeOf({ moduleId }: TestSpecification): number {
  return LAST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`)) + 1;
}
