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

/** Who is at the other end. */
export interface Client {
  /** IPv4-mapped addresses as IPv4. */
  readonly address: string;
  readonly port: number;
  /** `10.0.0.5:4242`, `[2001:db8::1]:4242` */
  readonly endpoint: string;
}

/** Told of each client that is let in; what it returns is called when the client's connection or flow has ended. */
export type TrackClient = (client: Client) => () => void;
