/** What a proxy tells of itself, once it says what a test waits for. */
import { getJson } from '../../engine/support/http.ts';
import type { ProxyProcess } from '../../engine/support/proxy.ts';
import type { StatusRow } from '../../engine/support/test-bed.ts';
import { waitUntil } from '../../engine/support/wait-until.ts';

/** One entry of `GET /problems`, in the fields that the tests look at. */
export interface ShownProblem {
  readonly code: string;
  readonly message: string;
  readonly origin: {
    readonly kind: string;
    readonly name?: string;
    readonly label?: string;
    readonly workload?: { readonly resource: string; readonly namespace: string; readonly name: string };
  };
}

export async function findRow(proxy: ProxyProcess, port: number): Promise<StatusRow | undefined> {
  const rows = await getJson<readonly StatusRow[]>(`${proxy.statusUrl}/status`);
  return rows.find((row) => row.listen_port === port);
}

/** Resolves with the row of a listener as soon as it is there and `holds`; after `timeoutMs` (default 30 s) an error. */
export function untilRow(
  proxy: ProxyProcess,
  options: {
    readonly port: number;
    readonly holds?: (row: StatusRow) => boolean;
    readonly timeoutMs?: number;
    readonly what?: string;
  },
): Promise<StatusRow> {
  const { port, holds = () => true, timeoutMs = 30_000, what = `a row of port ${port}` } = options;
  const ask = async () => {
    const row = await findRow(proxy, port);
    return row !== undefined && holds(row) ? row : undefined;
  };
  return waitUntil(ask, { timeoutMs, what });
}

export function readProblems(proxy: ProxyProcess): Promise<readonly ShownProblem[]> {
  return getJson(`${proxy.statusUrl}/problems`);
}

/** Resolves when nothing is wrong any more; after `timeoutMs` (default 20 s) an error. */
export async function untilNoProblem(
  proxy: ProxyProcess,
  { timeoutMs = 20_000 }: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const ask = async () => (await readProblems(proxy)).length === 0;
  await waitUntil(ask, { timeoutMs, what: 'an end of all problems' });
}
