/** The values of a service that are in force, and where each comes from. */
import type { EffectiveValue } from '../../status/api/answers.ts';
import { Foreign, Scrolled } from '../parts.tsx';

export function EffectiveValues({ values }: { readonly values: Readonly<Record<string, EffectiveValue>> }) {
  // What somebody has set comes first: that is what one looks for.
  const entries = Object.entries(values);
  const isSet = ([, { origin }]: (typeof entries)[number]) => origin !== 'default';
  const rows = [...entries.filter(isSet), ...entries.filter((entry) => !isSet(entry))];
  return (
    <Scrolled label="Values in force">
      <table class="values">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Value</th>
            <th scope="col">From</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([field, { value, origin }]) => (
            <tr key={field}>
              <td>{field}</td>
              <td>
                <code>
                  <Foreign text={typeof value === 'string' ? value : JSON.stringify(value)} />
                </code>
              </td>
              <td>
                <Foreign text={origin} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolled>
  );
}
