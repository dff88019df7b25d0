/** What the API answers, and when: for the tests of the commands' words. */

export const NOW = '2026-11-26T12:00:00Z';

/** The times of a place in UTC, at `NOW`. */
export const TIMES = {
  nowMs: Date.parse(NOW),
  parse: (timestamp: string) => Date.parse(timestamp),
  local: (timestamp: string) => `${timestamp.slice(0, 10)} ${timestamp.slice(11, 19)}.000 +00:00`,
};

/** Why a service that nobody uses is awake. */
export const NOBODY = { leases: 0, connections: 0, flows: 0, waiting: 0, kept_by: [] };
