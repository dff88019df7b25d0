/**
 * Keeps V8's young generation small during the start. The garbage of the start would make it grow by some 5 MB, and an idle
 * process never shrinks it again. Under load it may grow, which makes collecting cheap.
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
