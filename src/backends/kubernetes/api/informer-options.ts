import type { Clock } from '../../../system/clock.ts';
import type { KubeObject } from './api-shapes.ts';
import type { KubeClient } from './kube-client.ts';
import type { KubeRefusal } from './kube-errors.ts';
import type { ObjectChange } from './object-cache.ts';

export interface InformerOptions<T> {
  readonly client: KubeClient;
  /** Of the list: `/apis/apps/v1/namespaces/shop/deployments`, or `/apis/apps/v1/deployments` for all namespaces. */
  readonly path: string;
  /** Selectors. */
  readonly query?: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Keeps of each object what is needed. A method, so that its parameter may be declared as the kind that is listed. */
  select(object: KubeObject): T;
  /** `namespace/name` where it isn't given. */
  keyOf?(object: KubeObject): string;
  /** What is told is in force already: `get` and `all` show it, and whatever else the same list brought. */
  changed(change: ObjectChange<T>): void;
  /** Told on each change of `synced`, and again where the reason changes. */
  state(state: InformerState): void;
}

export type InformerState =
  | { readonly synced: true }
  /** `refusal` where the API server answered. */
  | { readonly synced: false; readonly reason: string; readonly refusal?: KubeRefusal };
