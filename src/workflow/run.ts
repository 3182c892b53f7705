/**
 * Drives a workflow to its end: every event goes to `onEvent`, the result comes back.
 *
 *     const result = await run(flash(session, image, options), draw);
 */
export async function run<Event, Result>(
  workflow: AsyncGenerator<Event, Result, void>,
  onEvent: (event: Event) => void = () => {},
): Promise<Result> {
  for (;;) {
    const step = await workflow.next();
    if (step.done) return step.value;
    onEvent(step.value);
  }
}
