BEGIN TRANSACTION;
CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL,  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('bda7b8c39065');
CREATE TABLE "datasets" ( dataset_uuid VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  name VARCHAR(500) NOT NULL,  digest VARCHAR(36) NOT NULL,  dataset_source_type VARCHAR(36) NOT NULL,  dataset_source TEXT NOT NULL,  dataset_schema TEXT,  dataset_profile TEXT,  CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest),  CONSTRAINT fk_datasets_experiment_id_experiments FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE experiment_tags ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(5000),  experiment_id INTEGER NOT NULL,  CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id),  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE experiments ( experiment_id INTEGER NOT NULL,  name VARCHAR(256) NOT NULL,  artifact_location VARCHAR(256),  lifecycle_stage VARCHAR(32), creation_time BIGINT, last_update_time BIGINT,  CONSTRAINT experiment_pk PRIMARY KEY (experiment_id),  CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),  UNIQUE (name)
);
INSERT INTO "experiments" VALUES(0,'Default','/somewhere/mlruns/0','active',1795651315342,1795651315342);
INSERT INTO "experiments" VALUES(1,'study','@FOLDER@/artifacts','active',1795651315349,1795651315349);
INSERT INTO "experiments" VALUES(2,'dead','/somewhere/mlruns/2','deleted',1795651320195,1795651320199);
CREATE TABLE input_tags ( input_uuid VARCHAR(36) NOT NULL,  name VARCHAR(255) NOT NULL,  value VARCHAR(500) NOT NULL,  CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
CREATE TABLE inputs ( input_uuid VARCHAR(36) NOT NULL,  source_type VARCHAR(36) NOT NULL,  source_id VARCHAR(36) NOT NULL,  destination_type VARCHAR(36) NOT NULL,  destination_id VARCHAR(36) NOT NULL, step BIGINT DEFAULT '0' NOT NULL,  CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
CREATE TABLE "latest_metrics" ( "key" VARCHAR(250) NOT NULL,  value FLOAT NOT NULL,  timestamp BIGINT,  step BIGINT NOT NULL,  is_nan BOOLEAN NOT NULL,  run_uuid VARCHAR(32) NOT NULL,  CONSTRAINT latest_metric_pk PRIMARY KEY ("key", run_uuid),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid),  CHECK (is_nan IN (0, 1))
);
INSERT INTO "latest_metrics" VALUES('loss',0.05,1795651317079,19,0,'33f0098af7614098a3e8b6e42724d715');
INSERT INTO "latest_metrics" VALUES('nan',0.0,1795651317109,3,1,'33f0098af7614098a3e8b6e42724d715');
INSERT INTO "latest_metrics" VALUES('up',1.79769313486231562234e+308,1795651317109,3,0,'33f0098af7614098a3e8b6e42724d715');
INSERT INTO "latest_metrics" VALUES('inner',1.0,1795651317277,0,0,'f834f15579be4d42ae36e2458dd47f88');
INSERT INTO "latest_metrics" VALUES('loss',0.05,1795651318734,19,0,'bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "latest_metrics" VALUES('nan',0.0,1795651318757,3,1,'bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "latest_metrics" VALUES('up',1.79769313486231562234e+308,1795651318757,3,0,'bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "latest_metrics" VALUES('inner',1.0,1795651318968,0,0,'7635624b29d64c26a84900420ed579bc');
INSERT INTO "latest_metrics" VALUES('loss',0.05,1795651320127,19,0,'c448c6871bd846d68346872288ac7943');
INSERT INTO "latest_metrics" VALUES('nan',0.0,1795651320138,3,1,'c448c6871bd846d68346872288ac7943');
INSERT INTO "latest_metrics" VALUES('up',1.79769313486231562234e+308,1795651320138,3,0,'c448c6871bd846d68346872288ac7943');
INSERT INTO "latest_metrics" VALUES('inner',1.0,1795651320176,0,0,'6e47c000fade4a649740d6014dac5b57');
CREATE TABLE logged_model_metrics ( model_id VARCHAR(36) NOT NULL,  metric_name VARCHAR(500) NOT NULL,  metric_timestamp_ms BIGINT NOT NULL,  metric_step BIGINT NOT NULL,  metric_value FLOAT,  experiment_id INTEGER NOT NULL,  run_id VARCHAR(32) NOT NULL,  dataset_uuid VARCHAR(36),  dataset_name VARCHAR(500),  dataset_digest VARCHAR(36),  CONSTRAINT logged_model_metrics_pk PRIMARY KEY (model_id, metric_name, metric_timestamp_ms, metric_step, run_id),  CONSTRAINT fk_logged_model_metrics_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE,  CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_uuid) ON DELETE CASCADE
);
CREATE TABLE logged_model_params ( model_id VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  param_key VARCHAR(255) NOT NULL,  param_value TEXT NOT NULL,  CONSTRAINT logged_model_params_pk PRIMARY KEY (model_id, param_key),  CONSTRAINT fk_logged_model_params_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE TABLE logged_model_tags ( model_id VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  tag_key VARCHAR(255) NOT NULL,  tag_value TEXT NOT NULL,  CONSTRAINT logged_model_tags_pk PRIMARY KEY (model_id, tag_key),  CONSTRAINT fk_logged_model_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE TABLE logged_models ( model_id VARCHAR(36) NOT NULL,  experiment_id INTEGER NOT NULL,  name VARCHAR(500) NOT NULL,  artifact_location VARCHAR(1000) NOT NULL,  creation_timestamp_ms BIGINT NOT NULL,  last_updated_timestamp_ms BIGINT NOT NULL,  status INTEGER NOT NULL,  lifecycle_stage VARCHAR(32),  model_type VARCHAR(500),  source_run_id VARCHAR(32),  status_message VARCHAR(1000),  CONSTRAINT logged_models_pk PRIMARY KEY (model_id),  CONSTRAINT logged_models_lifecycle_stage_check CHECK (lifecycle_stage IN ('active', 'deleted')),  CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE "metrics" ( "key" VARCHAR(250) NOT NULL,  value FLOAT NOT NULL,  timestamp BIGINT NOT NULL,  run_uuid VARCHAR(32) NOT NULL,  step BIGINT DEFAULT '0' NOT NULL,  is_nan BOOLEAN DEFAULT '0' NOT NULL,  CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid),  CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('loss',1.0,1795651316037,'33f0098af7614098a3e8b6e42724d715',0,0);
INSERT INTO "metrics" VALUES('loss',0.5,1795651316098,'33f0098af7614098a3e8b6e42724d715',1,0);
INSERT INTO "metrics" VALUES('loss',3.33333333333333314829e-01,1795651316172,'33f0098af7614098a3e8b6e42724d715',2,0);
INSERT INTO "metrics" VALUES('loss',0.25,1795651316218,'33f0098af7614098a3e8b6e42724d715',3,0);
INSERT INTO "metrics" VALUES('loss',0.2,1795651316250,'33f0098af7614098a3e8b6e42724d715',4,0);
INSERT INTO "metrics" VALUES('loss',1.66666666666666657414e-01,1795651316288,'33f0098af7614098a3e8b6e42724d715',5,0);
INSERT INTO "metrics" VALUES('loss',1.42857142857142849212e-01,1795651316327,'33f0098af7614098a3e8b6e42724d715',6,0);
INSERT INTO "metrics" VALUES('loss',0.125,1795651316356,'33f0098af7614098a3e8b6e42724d715',7,0);
INSERT INTO "metrics" VALUES('loss',1.11111111111111104943e-01,1795651316399,'33f0098af7614098a3e8b6e42724d715',8,0);
INSERT INTO "metrics" VALUES('loss',0.1,1795651316442,'33f0098af7614098a3e8b6e42724d715',9,0);
INSERT INTO "metrics" VALUES('loss',9.09090909090909116141e-02,1795651316468,'33f0098af7614098a3e8b6e42724d715',10,0);
INSERT INTO "metrics" VALUES('loss',8.33333333333333287074e-02,1795651316502,'33f0098af7614098a3e8b6e42724d715',11,0);
INSERT INTO "metrics" VALUES('loss',7.6923076923076927347e-02,1795651316564,'33f0098af7614098a3e8b6e42724d715',12,0);
INSERT INTO "metrics" VALUES('loss',7.14285714285714246063e-02,1795651316624,'33f0098af7614098a3e8b6e42724d715',13,0);
INSERT INTO "metrics" VALUES('loss',6.66666666666666657414e-02,1795651316691,'33f0098af7614098a3e8b6e42724d715',14,0);
INSERT INTO "metrics" VALUES('loss',0.0625,1795651316773,'33f0098af7614098a3e8b6e42724d715',15,0);
INSERT INTO "metrics" VALUES('loss',5.8823529411764705066e-02,1795651316867,'33f0098af7614098a3e8b6e42724d715',16,0);
INSERT INTO "metrics" VALUES('loss',5.55555555555555524716e-02,1795651316922,'33f0098af7614098a3e8b6e42724d715',17,0);
INSERT INTO "metrics" VALUES('loss',5.26315789473684181309e-02,1795651317030,'33f0098af7614098a3e8b6e42724d715',18,0);
INSERT INTO "metrics" VALUES('loss',0.05,1795651317079,'33f0098af7614098a3e8b6e42724d715',19,0);
INSERT INTO "metrics" VALUES('nan',0.0,1795651317109,'33f0098af7614098a3e8b6e42724d715',3,1);
INSERT INTO "metrics" VALUES('up',1.79769313486231562234e+308,1795651317109,'33f0098af7614098a3e8b6e42724d715',3,0);
INSERT INTO "metrics" VALUES('inner',1.0,1795651317277,'f834f15579be4d42ae36e2458dd47f88',0,0);
INSERT INTO "metrics" VALUES('loss',1.0,1795651317502,'bf57f347bcbd4d84b92acd55d524f753',0,0);
INSERT INTO "metrics" VALUES('loss',0.5,1795651317564,'bf57f347bcbd4d84b92acd55d524f753',1,0);
INSERT INTO "metrics" VALUES('loss',3.33333333333333314829e-01,1795651317601,'bf57f347bcbd4d84b92acd55d524f753',2,0);
INSERT INTO "metrics" VALUES('loss',0.25,1795651317651,'bf57f347bcbd4d84b92acd55d524f753',3,0);
INSERT INTO "metrics" VALUES('loss',0.2,1795651317774,'bf57f347bcbd4d84b92acd55d524f753',4,0);
INSERT INTO "metrics" VALUES('loss',1.66666666666666657414e-01,1795651317886,'bf57f347bcbd4d84b92acd55d524f753',5,0);
INSERT INTO "metrics" VALUES('loss',1.42857142857142849212e-01,1795651318019,'bf57f347bcbd4d84b92acd55d524f753',6,0);
INSERT INTO "metrics" VALUES('loss',0.125,1795651318083,'bf57f347bcbd4d84b92acd55d524f753',7,0);
INSERT INTO "metrics" VALUES('loss',1.11111111111111104943e-01,1795651318154,'bf57f347bcbd4d84b92acd55d524f753',8,0);
INSERT INTO "metrics" VALUES('loss',0.1,1795651318222,'bf57f347bcbd4d84b92acd55d524f753',9,0);
INSERT INTO "metrics" VALUES('loss',9.09090909090909116141e-02,1795651318278,'bf57f347bcbd4d84b92acd55d524f753',10,0);
INSERT INTO "metrics" VALUES('loss',8.33333333333333287074e-02,1795651318322,'bf57f347bcbd4d84b92acd55d524f753',11,0);
INSERT INTO "metrics" VALUES('loss',7.6923076923076927347e-02,1795651318393,'bf57f347bcbd4d84b92acd55d524f753',12,0);
INSERT INTO "metrics" VALUES('loss',7.14285714285714246063e-02,1795651318490,'bf57f347bcbd4d84b92acd55d524f753',13,0);
INSERT INTO "metrics" VALUES('loss',6.66666666666666657414e-02,1795651318523,'bf57f347bcbd4d84b92acd55d524f753',14,0);
INSERT INTO "metrics" VALUES('loss',0.0625,1795651318574,'bf57f347bcbd4d84b92acd55d524f753',15,0);
INSERT INTO "metrics" VALUES('loss',5.8823529411764705066e-02,1795651318602,'bf57f347bcbd4d84b92acd55d524f753',16,0);
INSERT INTO "metrics" VALUES('loss',5.55555555555555524716e-02,1795651318639,'bf57f347bcbd4d84b92acd55d524f753',17,0);
INSERT INTO "metrics" VALUES('loss',5.26315789473684181309e-02,1795651318693,'bf57f347bcbd4d84b92acd55d524f753',18,0);
INSERT INTO "metrics" VALUES('loss',0.05,1795651318734,'bf57f347bcbd4d84b92acd55d524f753',19,0);
INSERT INTO "metrics" VALUES('nan',0.0,1795651318757,'bf57f347bcbd4d84b92acd55d524f753',3,1);
INSERT INTO "metrics" VALUES('up',1.79769313486231562234e+308,1795651318757,'bf57f347bcbd4d84b92acd55d524f753',3,0);
INSERT INTO "metrics" VALUES('inner',1.0,1795651318968,'7635624b29d64c26a84900420ed579bc',0,0);
INSERT INTO "metrics" VALUES('loss',1.0,1795651319134,'c448c6871bd846d68346872288ac7943',0,0);
INSERT INTO "metrics" VALUES('loss',0.5,1795651319170,'c448c6871bd846d68346872288ac7943',1,0);
INSERT INTO "metrics" VALUES('loss',3.33333333333333314829e-01,1795651319218,'c448c6871bd846d68346872288ac7943',2,0);
INSERT INTO "metrics" VALUES('loss',0.25,1795651319275,'c448c6871bd846d68346872288ac7943',3,0);
INSERT INTO "metrics" VALUES('loss',0.2,1795651319327,'c448c6871bd846d68346872288ac7943',4,0);
INSERT INTO "metrics" VALUES('loss',1.66666666666666657414e-01,1795651319386,'c448c6871bd846d68346872288ac7943',5,0);
INSERT INTO "metrics" VALUES('loss',1.42857142857142849212e-01,1795651319461,'c448c6871bd846d68346872288ac7943',6,0);
INSERT INTO "metrics" VALUES('loss',0.125,1795651319533,'c448c6871bd846d68346872288ac7943',7,0);
INSERT INTO "metrics" VALUES('loss',1.11111111111111104943e-01,1795651319616,'c448c6871bd846d68346872288ac7943',8,0);
INSERT INTO "metrics" VALUES('loss',0.1,1795651319693,'c448c6871bd846d68346872288ac7943',9,0);
INSERT INTO "metrics" VALUES('loss',9.09090909090909116141e-02,1795651319763,'c448c6871bd846d68346872288ac7943',10,0);
INSERT INTO "metrics" VALUES('loss',8.33333333333333287074e-02,1795651319819,'c448c6871bd846d68346872288ac7943',11,0);
INSERT INTO "metrics" VALUES('loss',7.6923076923076927347e-02,1795651319869,'c448c6871bd846d68346872288ac7943',12,0);
INSERT INTO "metrics" VALUES('loss',7.14285714285714246063e-02,1795651319926,'c448c6871bd846d68346872288ac7943',13,0);
INSERT INTO "metrics" VALUES('loss',6.66666666666666657414e-02,1795651319963,'c448c6871bd846d68346872288ac7943',14,0);
INSERT INTO "metrics" VALUES('loss',0.0625,1795651320004,'c448c6871bd846d68346872288ac7943',15,0);
INSERT INTO "metrics" VALUES('loss',5.8823529411764705066e-02,1795651320053,'c448c6871bd846d68346872288ac7943',16,0);
INSERT INTO "metrics" VALUES('loss',5.55555555555555524716e-02,1795651320081,'c448c6871bd846d68346872288ac7943',17,0);
INSERT INTO "metrics" VALUES('loss',5.26315789473684181309e-02,1795651320103,'c448c6871bd846d68346872288ac7943',18,0);
INSERT INTO "metrics" VALUES('loss',0.05,1795651320127,'c448c6871bd846d68346872288ac7943',19,0);
INSERT INTO "metrics" VALUES('nan',0.0,1795651320138,'c448c6871bd846d68346872288ac7943',3,1);
INSERT INTO "metrics" VALUES('up',1.79769313486231562234e+308,1795651320138,'c448c6871bd846d68346872288ac7943',3,0);
INSERT INTO "metrics" VALUES('inner',1.0,1795651320176,'6e47c000fade4a649740d6014dac5b57',0,0);
CREATE TABLE "model_version_tags" ( "key" VARCHAR(250) NOT NULL,  value TEXT,  name VARCHAR(256) NOT NULL,  version INTEGER NOT NULL,  CONSTRAINT model_version_tag_pk PRIMARY KEY ("key", name, version),  FOREIGN KEY(name, version) REFERENCES model_versions (name, version) ON UPDATE CASCADE
);
CREATE TABLE "model_versions" ( name VARCHAR(256) NOT NULL,  version INTEGER NOT NULL,  creation_time BIGINT,  last_updated_time BIGINT,  description VARCHAR(5000),  user_id VARCHAR(256),  current_stage VARCHAR(20),  source VARCHAR(500),  run_id VARCHAR(32),  status VARCHAR(20),  status_message VARCHAR(500),  run_link VARCHAR(500), storage_location VARCHAR(500),  CONSTRAINT model_version_pk PRIMARY KEY (name, version),  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('net',1,1795651320253,1795651320271,NULL,NULL,'Production','@FOLDER@/artifacts/model','c448c6871bd846d68346872288ac7943','READY',NULL,NULL,'@FOLDER@/artifacts/model');
INSERT INTO "model_versions" VALUES('net',2,1795651320260,1795651320260,NULL,NULL,'None','s3://b/m2',NULL,'READY',NULL,NULL,'s3://b/m2');
CREATE TABLE "params" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000) NOT NULL,  run_uuid VARCHAR(32) NOT NULL,  CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('depth','0','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "params" VALUES('a','1','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "params" VALUES('b','xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "params" VALUES('depth','1','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "params" VALUES('a','1','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "params" VALUES('b','xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "params" VALUES('depth','2','c448c6871bd846d68346872288ac7943');
INSERT INTO "params" VALUES('a','1','c448c6871bd846d68346872288ac7943');
INSERT INTO "params" VALUES('b','xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','c448c6871bd846d68346872288ac7943');
CREATE TABLE registered_model_aliases ( alias VARCHAR(256) NOT NULL,  version INTEGER NOT NULL,  name VARCHAR(256) NOT NULL,  CONSTRAINT registered_model_alias_pk PRIMARY KEY (name, alias),  CONSTRAINT registered_model_alias_name_fkey FOREIGN KEY(name) REFERENCES registered_models (name) ON DELETE cascade ON UPDATE cascade
);
INSERT INTO "registered_model_aliases" VALUES('champion',2,'net');
CREATE TABLE registered_model_tags ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(5000),  name VARCHAR(256) NOT NULL,  CONSTRAINT registered_model_tag_pk PRIMARY KEY ("key", name),  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE cascade
);
CREATE TABLE registered_models ( name VARCHAR(256) NOT NULL,  creation_time BIGINT,  last_updated_time BIGINT,  description VARCHAR(5000),  CONSTRAINT registered_model_pk PRIMARY KEY (name),  UNIQUE (name)
);
INSERT INTO "registered_models" VALUES('net',1795651320245,1795651320271,NULL);
CREATE TABLE "runs" ( run_uuid VARCHAR(32) NOT NULL,  name VARCHAR(250),  source_type VARCHAR(20),  source_name VARCHAR(500),  entry_point_name VARCHAR(50),  user_id VARCHAR(256),  status VARCHAR(9),  start_time BIGINT,  end_time BIGINT,  source_version VARCHAR(50),  lifecycle_stage VARCHAR(20),  artifact_uri VARCHAR(200),  experiment_id INTEGER, deleted_time BIGINT,  CONSTRAINT run_pk PRIMARY KEY (run_uuid),  CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),  CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),  CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('33f0098af7614098a3e8b6e42724d715','trial','UNKNOWN','','','ada','FINISHED',1795651315921,1795651317358,'','active','@FOLDER@/artifacts/33f0098af7614098a3e8b6e42724d715/artifacts',1,NULL);
INSERT INTO "runs" VALUES('f834f15579be4d42ae36e2458dd47f88','able-seal-908','UNKNOWN','','','ada','FINISHED',1795651317222,1795651317323,'','active','@FOLDER@/artifacts/f834f15579be4d42ae36e2458dd47f88/artifacts',1,NULL);
INSERT INTO "runs" VALUES('bf57f347bcbd4d84b92acd55d524f753','trial','UNKNOWN','','','ada','FINISHED',1795651317398,1795651319015,'','active','@FOLDER@/artifacts/bf57f347bcbd4d84b92acd55d524f753/artifacts',1,NULL);
INSERT INTO "runs" VALUES('7635624b29d64c26a84900420ed579bc','magnificent-hare-592','UNKNOWN','','','ada','FINISHED',1795651318918,1795651318995,'','active','@FOLDER@/artifacts/7635624b29d64c26a84900420ed579bc/artifacts',1,NULL);
INSERT INTO "runs" VALUES('c448c6871bd846d68346872288ac7943','trial','UNKNOWN','','','ada','FINISHED',1795651319035,1795651320189,'','deleted','@FOLDER@/artifacts/c448c6871bd846d68346872288ac7943/artifacts',1,1795651320193);
INSERT INTO "runs" VALUES('6e47c000fade4a649740d6014dac5b57','fearless-calf-45','UNKNOWN','','','ada','FINISHED',1795651320165,1795651320184,'','active','@FOLDER@/artifacts/6e47c000fade4a649740d6014dac5b57/artifacts',1,NULL);
CREATE TABLE "tags" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000),  run_uuid VARCHAR(32) NOT NULL,  CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','ada','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "tags" VALUES('mlflow.source.name','write.py','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "tags" VALUES('mlflow.runName','trial','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "tags" VALUES('team','hydro','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "tags" VALUES('u','v','33f0098af7614098a3e8b6e42724d715');
INSERT INTO "tags" VALUES('mlflow.user','ada','f834f15579be4d42ae36e2458dd47f88');
INSERT INTO "tags" VALUES('mlflow.source.name','write.py','f834f15579be4d42ae36e2458dd47f88');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','f834f15579be4d42ae36e2458dd47f88');
INSERT INTO "tags" VALUES('mlflow.parentRunId','33f0098af7614098a3e8b6e42724d715','f834f15579be4d42ae36e2458dd47f88');
INSERT INTO "tags" VALUES('mlflow.runName','able-seal-908','f834f15579be4d42ae36e2458dd47f88');
INSERT INTO "tags" VALUES('mlflow.user','ada','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "tags" VALUES('mlflow.source.name','write.py','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "tags" VALUES('mlflow.runName','trial','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "tags" VALUES('team','hydro','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "tags" VALUES('u','v','bf57f347bcbd4d84b92acd55d524f753');
INSERT INTO "tags" VALUES('mlflow.user','ada','7635624b29d64c26a84900420ed579bc');
INSERT INTO "tags" VALUES('mlflow.source.name','write.py','7635624b29d64c26a84900420ed579bc');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','7635624b29d64c26a84900420ed579bc');
INSERT INTO "tags" VALUES('mlflow.parentRunId','bf57f347bcbd4d84b92acd55d524f753','7635624b29d64c26a84900420ed579bc');
INSERT INTO "tags" VALUES('mlflow.runName','magnificent-hare-592','7635624b29d64c26a84900420ed579bc');
INSERT INTO "tags" VALUES('mlflow.user','ada','c448c6871bd846d68346872288ac7943');
INSERT INTO "tags" VALUES('mlflow.source.name','write.py','c448c6871bd846d68346872288ac7943');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','c448c6871bd846d68346872288ac7943');
INSERT INTO "tags" VALUES('mlflow.runName','trial','c448c6871bd846d68346872288ac7943');
INSERT INTO "tags" VALUES('team','hydro','c448c6871bd846d68346872288ac7943');
INSERT INTO "tags" VALUES('u','v','c448c6871bd846d68346872288ac7943');
INSERT INTO "tags" VALUES('mlflow.user','ada','6e47c000fade4a649740d6014dac5b57');
INSERT INTO "tags" VALUES('mlflow.source.name','write.py','6e47c000fade4a649740d6014dac5b57');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','6e47c000fade4a649740d6014dac5b57');
INSERT INTO "tags" VALUES('mlflow.parentRunId','c448c6871bd846d68346872288ac7943','6e47c000fade4a649740d6014dac5b57');
INSERT INTO "tags" VALUES('mlflow.runName','fearless-calf-45','6e47c000fade4a649740d6014dac5b57');
CREATE TABLE trace_info ( request_id VARCHAR(50) NOT NULL,  experiment_id INTEGER NOT NULL,  timestamp_ms BIGINT NOT NULL,  execution_time_ms BIGINT,  status VARCHAR(50) NOT NULL,  CONSTRAINT trace_info_pk PRIMARY KEY (request_id),  CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE "trace_request_metadata" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000),  request_id VARCHAR(50) NOT NULL,  CONSTRAINT trace_request_metadata_pk PRIMARY KEY ("key", request_id),  CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE "trace_tags" ( "key" VARCHAR(250) NOT NULL,  value VARCHAR(8000),  request_id VARCHAR(50) NOT NULL,  CONSTRAINT trace_tag_pk PRIMARY KEY ("key", request_id),  CONSTRAINT fk_trace_tags_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE INDEX index_latest_metrics_run_uuid ON latest_metrics (run_uuid);
CREATE INDEX index_inputs_destination_type_destination_id_source_type ON inputs (destination_type, destination_id, source_type);
CREATE INDEX index_inputs_input_uuid ON inputs (input_uuid);
CREATE INDEX index_params_run_uuid ON params (run_uuid);
CREATE INDEX index_trace_info_experiment_id_timestamp_ms ON trace_info (experiment_id, timestamp_ms);
CREATE INDEX index_trace_tags_request_id ON trace_tags (request_id);
CREATE INDEX index_trace_request_metadata_request_id ON trace_request_metadata (request_id);
CREATE INDEX index_tags_run_uuid ON tags (run_uuid);
CREATE INDEX index_datasets_experiment_id_dataset_source_type ON datasets (experiment_id, dataset_source_type);
CREATE INDEX index_datasets_dataset_uuid ON datasets (dataset_uuid);
CREATE INDEX index_logged_model_metrics_model_id ON logged_model_metrics (model_id);
COMMIT;
