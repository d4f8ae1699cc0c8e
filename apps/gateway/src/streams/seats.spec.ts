import { Seats } from './seats.js';

describe('seats', () => {
  it('are so many of a tenant and so many in all, and free once they are given back', () => {
    const seats = new Seats(3, () => 2);
    const [leave] = [seats.take('t'), seats.take('t')];
    expect(() => seats.take('t')).toThrow('your tenant has 2 streams');
    seats.take('u');
    expect(() => seats.take('v')).toThrow('takes no more');
    leave();
    expect(() => seats.take('t')).not.toThrow();
  });

  it('are given back once', () => {
    const seats = new Seats(9, () => 2);
    const [leave] = [seats.take('t'), seats.take('t')];
    leave();
    leave();
    seats.take('t');
    expect(() => seats.take('t')).toThrow('your tenant has 2 streams');
  });
});
