/** The page that the status port shows at `/`: what is awake and why, from the API beside it. */
import { render } from 'preact';
import { App } from './app.tsx';
import { LiveData } from './data/live-data.ts';
import { Steerer } from './data/steering.ts';

const page = document.getElementById('page');
if (page !== null) {
  const data = new LiveData();
  const steerer = new Steerer(data);
  data.start();
  page.replaceChildren();
  render(<App data={data} steerer={steerer} />, page);
}
