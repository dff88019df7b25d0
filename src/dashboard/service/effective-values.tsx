/** The values of a service that are in force, and where each comes from. */
import type { EffectiveValue } from '../../status/api/answers.ts';
import { Foreign, Scrolled } from '../parts.tsx';

export function EffectiveValues({ values }: { readonly values: Readonly<Record<string, EffectiveValue>> }) {
  return (
    <Scrolled label="Values in force">
      <table>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Value</th>
            <th scope="col">From</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(values).map(([field, { value, origin }]) => (
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
