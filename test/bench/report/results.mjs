/** The results as data for a file. Pure. */

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

/** Five digits are more than a measurement has. */
function shorten(value) {
  return Number(value.toPrecision(5));
}

function mapValues(record, change) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
