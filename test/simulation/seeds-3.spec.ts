import { playSeeds } from './play.js';

playSeeds(5_001, 2_500);
