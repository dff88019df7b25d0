import { networkInterfaces } from 'node:os';

/** Whether this machine has the address `::1`: IPv6 may be switched off. */
export const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);
