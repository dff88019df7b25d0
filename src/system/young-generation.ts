/**
 * Keeps V8's young generation small while the program starts. The garbage of the start would make it grow by some 5 MB, and
 * V8 doesn't shrink it in an idle process. Under load it may grow, which makes garbage collection cheap.
 */
import { setFlagsFromString } from 'node:v8';

/** Keeps it as small as it is now. */
export function holdYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Lets it grow as V8 does by default. */
export function releaseYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}
