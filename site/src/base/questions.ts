// Questions to the worker. Each has a number, which its answer brings back.

export class Questions<T> {
  private readonly open = new Map<number, T>();
  /** The number of the last question. */
  last = 0;

  /** A number for a question that is not waited for: an answer counts if no other came after it. */
  number(): number {
    return ++this.last;
  }

  /** A number for a question, and what there is to know of it once the answer has come. */
  ask(about: T): number {
    this.open.set(this.number(), about);
    return this.last;
  }

  /** What the answer of that number is about; undefined if nothing waits for it. */
  answer(id: number | null): T | undefined {
    const about = this.open.get(id ?? 0);
    this.open.delete(id ?? 0);
    return about;
  }

  /** The same for answers that bring no number: they come in the order of the questions. */
  next(): T | undefined {
    return this.answer(this.open.keys().next().value ?? null);
  }

  /** Whether any of them has no answer yet. */
  get wait(): boolean {
    return this.open.size > 0;
  }

  /** Waits for none of them any more. */
  drop(): void {
    this.open.clear();
  }
}
