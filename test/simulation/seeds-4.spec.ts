import { playSeeds } from './play.js';

playSeeds(7_501, 2_500);
