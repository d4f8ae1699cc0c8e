import { Problem } from '../problem.js';

/** How many streams there may be at once: of a gateway, and of each tenant there. */
export class Seats {
  private readonly takenBy = new Map<string, number>();
  private taken = 0;

  constructor(
    private readonly most: number,
    private readonly mostOf: (tenant: string) => number,
  ) {}

  /** Returns what gives it back, at the first call. Throws Problem TENANT_LIMIT, STREAMS_FULL. */
  take(tenant: string): () => void {
    const [ofTenant, mostOf] = [this.takenBy.get(tenant) ?? 0, this.mostOf(tenant)];
    if (ofTenant >= mostOf) {
      throw new Problem(429, 'TENANT_LIMIT', `your tenant has ${mostOf} streams at this gateway, and may not have more; close some`, { retryAfterSeconds: 5 });
    }
    if (this.taken >= this.most) {
      throw new Problem(503, 'STREAMS_FULL', `this gateway has ${this.taken} streams, and takes no more; ask another one, or later`, { retryAfterSeconds: 5 });
    }
    this.taken += 1;
    this.takenBy.set(tenant, ofTenant + 1);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.taken -= 1;
      const left = (this.takenBy.get(tenant) ?? 1) - 1;
      if (left > 0) this.takenBy.set(tenant, left);
      else this.takenBy.delete(tenant);
    };
  }
}
