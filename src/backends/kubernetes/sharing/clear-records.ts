import type { LeaseApi } from './lease-api.ts';
import type { LeaseRecord } from './lease-record.ts';

/** Takes away what dead replicas have left behind, unless it has changed meanwhile. */
export async function clearRecords(
  records: readonly LeaseRecord[],
  options: {
    readonly api: LeaseApi;
    readonly signal: AbortSignal;
    readonly failed: (error: unknown, record: LeaseRecord) => void;
  },
): Promise<void> {
  const { api, signal, failed } = options;
  for (const record of records) {
    try {
      await api.remove(record.name, { version: record.version, signal });
    } catch (error) {
      if (!signal.aborted) failed(error, record);
    }
  }
}
