import { describeWorkloadRef, type WorkloadRef } from './workload.ts';

/** Where a value was written, so that every message and every printed value can name its place. */
export type Origin =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'label'; readonly workload: WorkloadRef; readonly label: string }
  | { readonly kind: 'environment'; readonly variable: string }
  /** What an engine tells of a workload. */
  | { readonly kind: 'workload'; readonly workload: WorkloadRef }
  /** An engine that should have been asked. */
  | { readonly kind: 'engine'; readonly name: string }
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'default' };

/** A value together with its origin. */
export interface Sourced<T> {
  readonly value: T;
  readonly origin: Origin;
}

/** One line naming an origin: `lazy-proxy.yaml:14:12`, `container db, label lazy-proxy.ports`, `$IDLE_TIMEOUT_SECS`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'file':
      return `${origin.file}:${origin.line}:${origin.column}`;
    case 'label':
      return `${describeWorkloadRef(origin.workload)}, ${origin.workload.kind === 'kubernetes' ? 'annotation' : 'label'} ${origin.label}`;
    case 'environment':
      return `$${origin.variable}`;
    case 'workload':
      return describeWorkloadRef(origin.workload);
    case 'engine':
      return origin.name;
    case 'flag':
      return origin.flag;
    case 'default':
      return 'default';
  }
}
