/**
 * V8's young generation while the proxy starts. Starting makes garbage for which it would grow to several times its size
 * (5 MB more), and an idle process never shrinks it again. Under load it may grow: that is what makes collecting cheap.
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
