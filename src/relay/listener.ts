import type { ListenerSpec } from '../model/service.ts';

/** One bound socket of either protocol, as the apply stage uses it. */
export interface Listener<Binding> {
  readonly spec: ListenerSpec;
  /** Connections or flows that are held or relayed now. */
  readonly activeConnections: number;
  /** How many clients the access list has refused since the listener was made. */
  readonly blocked: number;
  /** What it has done since it was made; adds up all clients that are there, so that nothing is counted as their bytes pass. */
  readTotals(): ListenerTotals;
  /** Those who have been there for the longest time, oldest first, `max` at most. */
  listClients(max: number): readonly PresentClient[];
  /** Binds the socket. @throws the bind error, with its `code`. */
  open(): Promise<void>;
  /** Sends new clients to another binding; connections and flows that exist stay where they are. */
  rebind(binding: Binding): void;
  /** Gives the port back at once; existing connections go on until they end. Idempotent. */
  close(): void;
  /** Ends the connections and flows that exist; the listener goes on. */
  cutClients(): void;
  /** Closes, and ends existing connections. Idempotent. */
  destroy(): void;
}

/** A client that is held or relayed now. */
export interface PresentClient extends Partial<Traffic> {
  /** `10.0.0.5:4242`, `[2001:db8::1]:4242` */
  readonly endpoint: string;
  /** Since when it is there, ms since the epoch. */
  readonly sinceMs: number;
  /** Whether it waits for the service to be awake. */
  readonly isWaiting: boolean;
}

/** What a connection or flow has carried so far. */
export interface Traffic {
  /** Bytes that the upstream has taken. */
  readonly bytesUp: number;
  /** Bytes that the client has taken. */
  readonly bytesDown: number;
}

/** None of the numbers ever falls. */
export interface ListenerTotals {
  /** Clients that were let in: connections, or flows. */
  readonly accepted: number;
  /** What was relayed: bytes, or datagrams. */
  readonly up: number;
  readonly down: number;
  /** Connections that were let in and closed without an upstream, by why. */
  readonly unserved: Readonly<Record<string, number>>;
}

/** The client of a connection or flow. */
export interface Client {
  /** Its IP address; an IPv4-mapped one as IPv4. */
  readonly address: string;
  readonly port: number;
  /** `10.0.0.5:4242`, `[2001:db8::1]:4242` */
  readonly endpoint: string;
}

/**
 * Called for each client that is let in; the function it returns is called when the client's connection or flow has ended.
 * @param traffic what it has carried so far, complete at its end; undefined before its upstream is connected. Not to be called at once.
 */
export type TrackClient = (client: Client, traffic: () => Traffic | undefined) => () => void;

/** Of some clients those who came first, in that order, `max` at most. */
export function oldestOf(clients: readonly PresentClient[], max: number): readonly PresentClient[] {
  return clients.toSorted((a, b) => a.sinceMs - b.sinceMs).slice(0, max);
}
