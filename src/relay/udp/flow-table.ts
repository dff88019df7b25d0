/** The flows of one listener by client address and port, and the local address that was asked. Pure. */
export class FlowTable<Flow> {
  readonly #flows = new Map<string, Flow>();

  get(client: ClientAddress): Flow | undefined {
    return this.#flows.get(keyOf(client));
  }

  set(client: ClientAddress, flow: Flow): void {
    this.#flows.set(keyOf(client), flow);
  }

  delete(client: ClientAddress): void {
    this.#flows.delete(keyOf(client));
  }
}

/** A client's address as node:dgram tells it. */
export interface ClientAddress {
  readonly address: string;
  readonly port: number;
  /** The local address that the client asked, where the listener has several and the kernel tells which. */
  readonly local?: string | undefined;
  /** The same as an IP address. */
  readonly localAddress?: string | undefined;
}

function keyOf({ address, port, local = '' }: ClientAddress): string {
  return `${address} ${port} ${local}`;
}
