/** What went wrong, in one line for a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The same for errors of a connection: where several addresses were tried, the error of them all has an empty message. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(describeError).join(', ');
  return messageOf(error);
}
