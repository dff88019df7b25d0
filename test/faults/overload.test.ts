import { OVERLOADS, testOverloads } from './overloads.ts';

testOverloads(OVERLOADS, 1_000);
