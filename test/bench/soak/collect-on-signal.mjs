/** Loaded before the program: garbage is collected at SIGUSR2. Memory that is left after it is held by somebody. */
const { gc } = globalThis;
if (gc === undefined) throw new Error('node needs --expose-gc here');
process.on('SIGUSR2', () => {
  for (let round = 0; round < 3; round++) setTimeout(gc, round * 100);
});
