/** `bootproof/trust`: what an update is trusted by: TUF, Mender artifacts, Android verified boot, the audit log. */

import { useOpenssl } from "../crypto-node/openssl.js";

export type { Descriptor } from "../avb/descriptors.js";
export { AvbError } from "../avb/error.js";
export { isAvb } from "../avb/magic.js";
export { AVB_FLAG, type AvbImage, parseAvb } from "../avb/vbmeta.js";
export { type AvbCheck, type AvbVerdict, verifyAvb } from "../avb/verify.js";
export { type Artifact, readArtifact } from "../mender/artifact.js";
export { MenderError } from "../mender/error.js";
export { diffArtifacts, factsOf } from "../mender/facts.js";
export { type Depends, type MetaData, parseMetaData } from "../mender/metadata.js";
export { type NamedKey, rehearseKeyList } from "../mender/rehearse.js";
export { type ArtifactCheck, type ArtifactVerdict, providesAfter, verifyArtifact } from "../mender/verify.js";
export { manifestOf, softwareVersion, withSignature, writeArtifact } from "../mender/write.js";
export { decompressors } from "../sources/decompress.js";
export { type FetchOptions, fetchFile, type PartialFile } from "../sources/http.js";
export { isContainer, openSource } from "../sources/open.js";
export { failedCheck, type Payload, type Source, type SourceCheck, SourceError } from "../sources/source.js";
export { checkByTuf, type FindCarried, type FindTarget, type VouchedTarget } from "../sources/tuf.js";
export {
  type Answer,
  answerQuestions,
  type KnownClaim,
  type KnownOfBoard,
} from "../trust/audit-questions.js";
export type { EnvelopeError } from "../trust/dsse.js";
export { openEnvelope, parseEnvelope, signEnvelope } from "../trust/dsse.js";
export {
  EVENT_TYPES,
  type EventDetail,
  type EventInput,
  type EventType,
  type LogEvent,
} from "../trust/events.js";
export {
  type FlashedImage,
  type FlashPredicate,
  type FlashStanding,
  flashStatement,
} from "../trust/flash-statement.js";
export { LogError } from "../trust/log-error.js";
export { openPermission, signPermission } from "../trust/permission.js";
export {
  evaluatePolicy,
  type Finding,
  type Override,
  POLICY_LEVELS,
  type Policy,
  type PolicyLevel,
  type PolicyVerdict,
  policyOfLevel,
  policySchema,
  readPolicy,
  refuses,
  severityOf,
} from "../trust/policy.js";
export { PolicyError } from "../trust/policy-error.js";
export { type PolicyFacts, RULES, type RuleName } from "../trust/policy-rules.js";
export type { PolicyAction } from "../trust/policy-settings.js";
export { type ProvenBoard, proofStatement, readProofStatement } from "../trust/proof-statement.js";
export type {
  BoardIdentity,
  BoardRatchet,
  RatchetError,
  RatchetImage,
  RatchetMark,
  RatchetPort,
  RatchetState,
  RatchetVerdict,
} from "../trust/ratchet.js";
export {
  mergeRatchets,
  withConfirmed,
  withIntent,
  withoutIntent,
  withPermission,
  withPermissionUsed,
  withTrustedMemory,
} from "../trust/ratchet-changes.js";
export { parseRatchet } from "../trust/ratchet-file.js";
export { judgeByRatchet } from "../trust/ratchet-verdict.js";
export { formatVerifierKey, type NoteVerifier, parseVerifierKey } from "../trust/signed-note.js";
export {
  formatStatement,
  IN_TOTO,
  names,
  parseStatement,
  SLSA_PROVENANCE,
  type Statement,
} from "../trust/statement.js";
export { formatProof, parseProof, verifyProof } from "../trust/tlog-proof.js";
export type { EarlierState, LogVerdict } from "../trust/verify-log.js";
export { AuditLog, type Logged, thisActor } from "../trust-store/audit-log.js";
export { realDisk } from "../trust-store/disk.js";
export { noteVerifier } from "../trust-store/log-key.js";
export { ProcessLock, thisProcess } from "../trust-store/process-lock.js";
export { RatchetStore } from "../trust-store/ratchet-store.js";
export { SeenImages } from "../trust-store/seen-images.js";
export { LedgerError, SigningLedger } from "../trust-store/signing-ledger.js";
export { TPM_INDICES, TpmCounter, TpmError, tpmKind } from "../trust-store/tpm-counter.js";
export type { Json as TufJson, JsonObject as TufJsonObject } from "../tuf/canonical-json.js";
export { canonicalJson, isObject, parseJson } from "../tuf/canonical-json.js";
export { type RepositoryFetch, TUF_LIMITS, TufClient, type TufEvent, type TufLimits } from "../tuf/client.js";
export { TufError } from "../tuf/error.js";
export { encodeName, metadataFileName } from "../tuf/file-names.js";
export { trustRoot } from "../tuf/first-trust.js";
export { mustMatch, sha256Hex } from "../tuf/hashes.js";
export { parseMetadata } from "../tuf/metadata.js";
export {
  type Metadata,
  type RoleType,
  type TargetFile,
  type TargetsSigned,
  TOP_LEVEL_ROLES,
} from "../tuf/metadata-types.js";
export {
  type DraftFile,
  fileBytes,
  newRepository,
  OFFLINE_ROLES,
  type RepositoryState,
  type RoleSetting,
  renew,
} from "../tuf/repository/draft.js";
export { addDelegation, addSuccinctBins } from "../tuf/repository/draft-delegations.js";
export { changeKeys } from "../tuf/repository/draft-keys.js";
export { addTarget, describeRole, removeTarget } from "../tuf/repository/draft-targets.js";
export {
  completeStage,
  type MissingSignatures,
  missingSignatures,
  signStaged,
  trustsFor,
} from "../tuf/repository/publish.js";
export { memoryStore, rehearseRotation } from "../tuf/repository/rehearse.js";
export { TufRepositoryError } from "../tuf/repository/repository-error.js";
export {
  answerTufRequest,
  attachTufResponse,
  openTufSigningRequest,
  requestToSign,
  tufSigningRequest,
} from "../tuf/repository/signing-request.js";
export {
  type MetadataSigner,
  metadataSigner,
  type NamedTufKey,
  tufKeyOf,
} from "../tuf/repository/tuf-key.js";
export { TrustedMetadata } from "../tuf/trusted-metadata.js";
export type { TimeFloor } from "../tuf/trusted-time.js";
export { type TrustedTime, trustedTime } from "../tuf/trusted-time.js";
export { FileStore, TufStoreError } from "../tuf-store/file-store.js";
export { httpFetch } from "../tuf-store/http-fetch.js";
export { verifyNatively } from "../tuf-store/native-signatures.js";
export {
  type OpenRepository,
  openRepository,
  type RepositoryPlace,
  refreshRepository,
  repositoryFetch,
  storeNameOf,
} from "../tuf-store/open-repository.js";
export { RepositoryFetchError } from "../tuf-store/repository-fetch-error.js";
export { EXPIRY_DAYS, type ExpiryDays, RepositoryFolder } from "../tuf-store/repository-folder.js";
export type { Vehicle } from "../uptane/director.js";
export { UptaneError } from "../uptane/error.js";
export {
  attachToOfflineUpdate,
  draftOfflineUpdate,
  missingOfOfflineUpdate,
  type OfflineChoice,
  type OfflineFiles,
  signOfflineUpdate,
} from "../uptane/make-offline.js";
export {
  type EcuReport,
  type KnownVehicle,
  type Manifest,
  type ManifestSigner,
  parseManifest,
  signReport,
  verifyManifest,
  writeManifest,
} from "../uptane/manifest.js";
export { OFFLINE_SNAPSHOT, parseOfflineSnapshot, parseOfflineTargets } from "../uptane/offline-roles.js";
export { parseUptaneMetadata } from "../uptane/reader.js";
export { rehearseOfflineRotation } from "../uptane/rehearse-offline.js";
export {
  DIRECTOR_LIMITS,
  type DirectedImage,
  type Directions,
  type Extent,
  IMAGE_LIMITS,
  uptaneDialect,
  verifyInFull,
  verifyInPart,
  withDelegationsFolder,
  withNewestTargets,
} from "../uptane/verify.js";
export {
  type CarriedFile,
  type CarriedImage,
  type OfflineDirections,
  verifyOffline,
} from "../uptane/verify-offline.js";
export {
  BUNDLE_PARTS,
  type BundleFiles,
  bundleTar,
  halfOf,
  imagePathsOf,
  openBundle,
} from "../uptane-store/bundle-files.js";
export { type EcuKey, ecuKey } from "../uptane-store/ecu-keys.js";
export { openOfflineStores } from "../uptane-store/offline-stores.js";
export { type VehicleFacts, type VerifiedDirections, verifyForVehicle } from "../uptane-store/primary.js";
export { rememberFromVehicle } from "../uptane-store/vehicle-memory.js";
export { VehicleState } from "../uptane-store/vehicle-state.js";

useOpenssl();
