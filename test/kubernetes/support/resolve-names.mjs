/**
 * Loaded before the program (`node --import`): names that end in TEST_NAMES_SUFFIX are TEST_NAMES_ADDRESS, as the
 * cluster's own DNS would tell.
 */
import dns from 'node:dns';

const { TEST_NAMES_SUFFIX: suffix = '', TEST_NAMES_ADDRESS: address } = process.env;
const { lookup } = dns;

dns.lookup = (name, ...rest) => {
  const callback = rest.at(-1);
  if (!name.endsWith(suffix)) return lookup(name, ...rest);
  const all = typeof rest[0] === 'object' && rest[0].all === true;
  setImmediate(() => (all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)));
};
