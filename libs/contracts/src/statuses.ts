export type ExecutionStatus = 'pending' | 'running' | 'paused' | 'cancelling' | 'completed' | 'failed' | 'cancelled';
export type TaskStatus = 'pending' | 'assigned' | 'running' | 'completed' | 'failed' | 'skipped' | 'cancelled';
export type StepStatus = 'pending' | 'running' | 'completed' | 'failed' | 'skipped';
