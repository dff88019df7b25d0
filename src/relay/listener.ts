import type { ListenerSpec } from '../model/service.ts';

/** One bound socket, whatever its protocol, as the layer above handles it. */
export interface Listener<Binding> {
  readonly spec: ListenerSpec;
  /** Connections or flows that are held or relayed now. */
  readonly activeConnections: number;
  /** Binds the socket. @throws the bind error, with its `code`. */
  open(): Promise<void>;
  /** What is new goes elsewhere from now on; what lives stays where it is. */
  rebind(binding: Binding): void;
  /** Gives the port back at once; what lives goes on until it ends. Idempotent. */
  close(): void;
  /** Closes, and ends what still lives. Idempotent. */
  destroy(): void;
}
