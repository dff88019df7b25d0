import type { ListenerSpec, Service } from './service.ts';
import type { FrontDoor, FrontPolicy } from './web.ts';

/** One step from the current table to the desired one. */
export type Change =
  | { readonly kind: 'add-service'; readonly service: Service }
  | { readonly kind: 'update-service'; readonly service: Service; readonly previous: Service }
  | { readonly kind: 'remove-service'; readonly service: Service }
  | { readonly kind: 'open-listener'; readonly service: Service; readonly listener: ListenerSpec }
  /** The socket stays open; new connections go to this service and target from now on. */
  | { readonly kind: 'rebind-listener'; readonly service: Service; readonly listener: ListenerSpec }
  | { readonly kind: 'close-listener'; readonly listener: ListenerSpec }
  | { readonly kind: 'open-front'; readonly front: FrontDoor }
  | { readonly kind: 'close-front'; readonly front: FrontDoor }
  /** Certificates and the like of all front doors, and of services that end TLS themselves. */
  | { readonly kind: 'set-front-policy'; readonly policy: FrontPolicy }
  /**
   * Requests for the hosts of this service go to it from now on, by its present policy. A host may have led to another service
   * before, whose own change comes earlier or later in the plan: that one gives up only hosts that still lead to it.
   */
  /** `previous`: on which terms it had hosts before; absent = it had none. */
  | { readonly kind: 'set-routes'; readonly service: Service; readonly previous?: Service | undefined }
  /** No host leads to the service any more. */
  | { readonly kind: 'clear-routes'; readonly service: Service }
  /** The service's cron jobs are these from now on. */
  | { readonly kind: 'set-schedule'; readonly service: Service }
  | { readonly kind: 'clear-schedule'; readonly service: Service };

/**
 * Ordered: closes come before opens, services are added before their listeners and routes and removed after them, and front
 * doors open when their routes and certificates are set.
 */
export type Plan = readonly Change[];
