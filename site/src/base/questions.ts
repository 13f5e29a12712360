// Questions to the worker that wait for an answer. Each has a number, which its answer brings back.

export class Questions<T> {
  private readonly open = new Map<number, T>();
  private last = 0;

  /** A number for a question, and what there is to know of it once the answer has come. */
  ask(about: T): number {
    this.open.set(++this.last, about);
    return this.last;
  }

  /** What the answer of that number is about; undefined where nothing waits for it any more. */
  answer(id: number | null): T | undefined {
    if (id === null) return undefined;
    const about = this.open.get(id);
    this.open.delete(id);
    return about;
  }

  /** Whether any of them has no answer yet. */
  get wait(): boolean {
    return this.open.size > 0;
  }

  /** No answer is waited for any more. */
  drop(): void {
    this.open.clear();
  }
}
