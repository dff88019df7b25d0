/** The results as data for a file, and back. Pure. */

/**
 * @param {{ rows: readonly object[], controlRows: readonly object[], peers: readonly { id: string, label: string }[],
 *   about: object }} parts `about`: when, where and with what it was measured; goes first.
 */
export function createResults({ rows, controlRows, peers, about }) {
  return {
    ...about,
    peers: Object.fromEntries(peers.map(({ id, label }) => [id, label])),
    metrics: rows.map(({ metric, cells, verdict }) => ({
      ...{ id: metric.id, part: metric.part, label: metric.label, unit: metric.unit, better: metric.better },
      ...(verdict && { budget: verdict.budget, isMet: verdict.isMet }),
      figures: Object.fromEntries(
        cells.map(({ peer, median, ratios, samples }) => [
          peer,
          { median: shorten(median), ratios: mapValues(ratios, shorten), samples: samples.map(shorten) },
        ]),
      ),
    })),
    ...(controlRows.length > 0 && { control: controlRows }),
  };
}

/**
 * What results hold of other parts than `without`, as it was measured: `{ metric, peer, samples }`, and rows of the kind
 * `control`.
 */
export function readMeasured({ metrics, control = [] }, without) {
  const kept = metrics.filter(({ part }) => !without.includes(part));
  const samples = kept.flatMap(({ id, figures }) =>
    Object.entries(figures).map(([peer, figure]) => ({ metric: id, peer, samples: figure.samples })),
  );
  const rows = without.includes('control') ? [] : control.map((row) => ({ kind: 'control', ...row }));
  return [...samples, ...rows];
}

/** Five digits are more than a measurement has. */
function shorten(value) {
  return Number(value.toPrecision(5));
}

function mapValues(record, change) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
