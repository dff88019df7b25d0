import { type AddressSet, compileAddressSet } from './access-list.ts';

/** The proxies in front that may say who a client is, as the settings name them now. */
export class TrustedProxies implements AddressSet {
  #set: AddressSet = compileAddressSet([]);

  /** Trusts these addresses and CIDR ranges from now on, and nobody else. @throws as `compileAddressSet`. */
  trust(ranges: readonly string[]): void {
    this.#set = compileAddressSet(ranges);
  }

  includes(address: string): boolean {
    return this.#set.includes(address);
  }
}
