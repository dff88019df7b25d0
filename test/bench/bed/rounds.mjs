/**
 * The same work for each peer in turn, A B C A B C …, so that what else the machine does hits all of them alike.
 * @param {{ id: string }[]} peers
 * @param {{ rounds: number, work: (peer: any, round: number) => Promise<Readonly<Record<string, number>>>,
 *   warmUp?: (peer: any) => Promise<unknown>, log: (line: string) => void }} options
 * `work` returns a figure for each metric.
 * @returns {Promise<{ metric: string, peer: string, samples: number[] }[]>}
 */
export async function runRounds(peers, { rounds, work, warmUp, log }) {
  const samples = new Map();
  for (const peer of peers) await warmUp?.(peer);
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of peers) {
      const figures = await work(peer, round);
      log(`  round ${round + 1} ${peer.label}: ${describe(figures)}`);
      for (const [metric, value] of Object.entries(figures)) {
        const key = JSON.stringify([metric, peer.id]);
        samples.set(key, [...(samples.get(key) ?? []), value]);
      }
    }
  }
  return [...samples].map(([key, values]) => {
    const [metric, peer] = JSON.parse(key);
    return { metric, peer, samples: values };
  });
}

function describe(figures) {
  return Object.entries(figures)
    .map(([metric, value]) => `${metric} ${Number(value.toPrecision(4))}`)
    .join(', ');
}
