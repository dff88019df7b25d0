/**
 * Whether V8's young generation may grow, for the whole process. The garbage of the start would make it grow by some 5 MB, that of a page
 * that is looked at by 30, and V8 doesn't shrink it in an idle process. Under load it may grow, which makes garbage collection cheap.
 */
import { setFlagsFromString } from 'node:v8';

/** Keeps it as small as it is now, until the next thread starts: each new heap of V8 sets the factor back to 2. */
export function holdYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Lets it grow as V8 does by default. */
export function releaseYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}
