import { playSeeds } from './play.js';

playSeeds(2_501, 2_500);
