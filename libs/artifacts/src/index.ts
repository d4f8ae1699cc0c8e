export { MAX_DESCRIPTION, MAX_NAME, MAX_TAGS, artifactOf, nameOf, tagForm } from './describe.js';
export { ArtifactTooLarge, type Kept, keepBytes, mayBeNamed } from './keep.js';
export { ArtifactRoom, type Claim, NoRoomForArtifact, type Used, unlimited } from './room.js';
export { mediaTypeOf, typeOf } from './media-type.js';
