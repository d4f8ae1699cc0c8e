import { playSeeds } from './play.js';

playSeeds(1, 2_500);
