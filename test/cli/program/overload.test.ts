import { OVERLOADS, testOverloads } from '../../faults/overloads.ts';

/** The short form of `npm run test:faults`: of each kind of client one flood, and one mix. */
const KINDS = ['1,024 addresses', 'datagrams', 'half requests', 'then as many to an awake one'];

testOverloads(
  OVERLOADS.filter(({ what }) => KINDS.some((kind) => what.includes(kind))),
  100,
);
