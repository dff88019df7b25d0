/** What a client is told when its service has not answered. Pure. */

interface FailureAnswer {
  readonly status: 408 | 502 | 503 | 504;
  readonly text: string;
  readonly retryAfterSeconds: number | undefined;
  /** As it is counted. */
  readonly why: 'timeout' | 'overloaded' | 'removed' | 'failed' | 'asleep' | 'wake-list' | 'slow-body';
  /** The service has not woken; else it was awake and has not answered. */
  readonly isOfWake: boolean;
}

/** Undefined where the client has left, so that nobody is told. */
export function answerOf(
  error: unknown,
  { service, wasReady }: { readonly service: string; readonly wasReady: boolean },
): FailureAnswer | undefined {
  const code = codeOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  const ofWake = { status: 503, isOfWake: true } as const;
  switch (code) {
    case 'left':
      return undefined;
    case 'asleep':
    case 'wake-list':
      return { ...ofWake, why: code, retryAfterSeconds: 60, text: `${service}: ${reason}.` };
    case 'overloaded':
      return { ...ofWake, why: 'overloaded', retryAfterSeconds: 5, text: `${service}: ${reason}.` };
    case 'removed':
      return { ...ofWake, why: 'removed', retryAfterSeconds: undefined, text: `${service}: ${reason}.` };
    case 'timeout':
      if (wasReady)
        return {
          ...{ status: 504, why: 'timeout', retryAfterSeconds: undefined, isOfWake: false },
          text: `${service} can't be reached in time.`,
        };
      return {
        ...ofWake,
        why: 'timeout',
        retryAfterSeconds: 10,
        text: `${service} did not wake: ${reason}.`,
      };
    case 'failed':
      return { ...ofWake, why: 'failed', retryAfterSeconds: 10, text: `${service} did not wake: ${reason}.` };
    case 'slow-body':
      return {
        ...{ status: 408, why: 'slow-body', retryAfterSeconds: undefined, isOfWake: false },
        text: 'The body of the request did not come.',
      };
    case 'ETIMEDOUT':
      return {
        ...{ status: 504, why: 'timeout', retryAfterSeconds: undefined, isOfWake: false },
        text: `${service} did not answer in time.`,
      };
    default:
      return {
        ...{ status: 502, why: 'failed', retryAfterSeconds: undefined, isOfWake: false },
        text: `${service} closed the connection without a proper answer.`,
      };
  }
}

/** The `code` of an error, or of what caused it; undefined where there is none. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return String(error.code);
}
