import { describeWorkloadRef, type WorkloadRef } from './workload.ts';

/** Where a value was written, so that every message and every printed value can name its place. */
export type Origin =
  | FileOrigin
  | { readonly kind: 'label'; readonly workload: WorkloadRef; readonly label: string }
  | { readonly kind: 'environment'; readonly variable: string }
  /** What an engine tells of a workload. */
  | { readonly kind: 'workload'; readonly workload: WorkloadRef }
  /** An engine that should have been asked. */
  | { readonly kind: 'engine'; readonly name: string }
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'default' };

export interface FileOrigin {
  readonly kind: 'file';
  readonly file: string;
  /** Both begin with 1. */
  readonly line: number;
  readonly column: number;
  /** Of a list of mappings: where each of them was written. */
  readonly items?: readonly FileOrigin[];
}

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

/** The origin of an item of a list, from 0 on; that of the list where no other is known. */
export function originOfItem(origin: Origin, index: number): Origin {
  return (origin.kind === 'file' ? origin.items?.[index] : undefined) ?? origin;
}
