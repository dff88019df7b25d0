import type { ListenerSpec, Service } from './service.ts';

/** One step from the current table to the desired one. */
export type Change =
  | { readonly kind: 'add-service'; readonly service: Service }
  | { readonly kind: 'update-service'; readonly service: Service; readonly previous: Service }
  | { readonly kind: 'remove-service'; readonly service: Service }
  | { readonly kind: 'open-listener'; readonly service: Service; readonly listener: ListenerSpec }
  /** The socket stays open; new connections go to this service and target from now on. */
  | { readonly kind: 'rebind-listener'; readonly service: Service; readonly listener: ListenerSpec }
  | { readonly kind: 'close-listener'; readonly listener: ListenerSpec }
  /** The service's cron jobs are these from now on. */
  | { readonly kind: 'set-schedule'; readonly service: Service }
  | { readonly kind: 'clear-schedule'; readonly service: Service };

/** Ordered: closes come before opens, services are added before their listeners and removed after them. */
export type Plan = readonly Change[];
