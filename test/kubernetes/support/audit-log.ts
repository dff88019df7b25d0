import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ControlPlane } from './control-plane.ts';

/** One request that the API server answered. */
export interface ApiCall {
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`. */
  readonly verb: string;
  /** With its subresource: `deployments/scale`. */
  readonly resource: string;
  readonly namespace: string;
  /** `''` for a collection. */
  readonly name: string;
  readonly status: number;
}

export interface AuditLog {
  /** What the user asked for since the last `reset`; a watch counts when it begins. */
  calls(): Promise<readonly ApiCall[]>;
  reset(): Promise<void>;
}

interface AuditLine {
  readonly stage: 'ResponseStarted' | 'ResponseComplete' | 'Panic';
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

/** The calls of one user to the API server. */
export async function openAuditLog(plane: ControlPlane, user: string): Promise<AuditLog> {
  const file = path.join(plane.folder, 'audit.log');
  const sizeNow = async () => (await stat(file)).size;
  let from = await sizeNow();
  return {
    async calls() {
      const text = (await readFile(file)).subarray(from).toString();
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      const lines = whole.split('\n').filter((line) => line !== '');
      return lines
        .map((line) => JSON.parse(line) as AuditLine)
        .filter((line) => line.user.username === user && isCounted(line))
        .map(toCall);
    },
    async reset() {
      from = await sizeNow();
    },
  };
}

/** A watch has a line for its begin and one for its end; one that is refused has only the latter. */
function isCounted({ verb, stage, responseStatus }: AuditLine): boolean {
  if (verb !== 'watch') return stage === 'ResponseComplete';
  return stage === 'ResponseStarted' || (responseStatus?.code ?? 0) >= 400;
}

function toCall({ verb, objectRef, responseStatus }: AuditLine): ApiCall {
  const { resource = '', subresource, namespace = '', name = '' } = objectRef ?? {};
  return {
    verb,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    status: responseStatus?.code ?? 0,
  };
}
