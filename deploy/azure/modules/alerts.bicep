// The rules of deploy/monitoring/rules, as rules of the Azure Monitor workspace, read from the files that
// promtool tests. And alerts on Azure's own metrics of Event Grid and Event Hubs, which Prometheus lacks.

param location string
param tags object
param metricsId string

@description('Email address for alerts; empty: alerts are shown only in the portal.')
param email string

@description('Address at which docs/runbook.md is published; alerts link to its sections.')
param runbookUrl string

@description('Ids of the resources whose own metrics raise alerts: the topic of uploads, and the namespace.')
param uploadsTopicId string
param eventHubsId string

var groups = concat(loadYamlContent('../../monitoring/rules/outages.yml').groups, loadYamlContent('../../monitoring/rules/alerts.yml').groups, loadYamlContent('../../monitoring/rules/objectives.yml').groups, loadYamlContent('../../monitoring/rules/studio.yml').groups)

var severities = {
  page: 1
  ticket: 3
}

var resolved = {
  autoResolved: true
  timeToResolve: 'PT10M'
}

var mailed = [
  {
    actionGroupId: people.id
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'stylestream-people'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'stylestream'
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rules 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = [
  for group in groups: {
    name: group.name
    location: location
    tags: tags
    properties: {
      enabled: true
      // Not limited to a cluster: the workspace has only one, and recorded series lack the cluster's label.
      interval: 'PT1M'
      scopes: [
        metricsId
      ]
      rules: [
        for rule in group.rules: {
          record: contains(rule, 'record') ? rule.record : null
          alert: contains(rule, 'alert') ? rule.alert : null
          expression: rule.expr
          // 15m in Prometheus's file is PT15M here.
          for: contains(rule, 'for') ? toUpper('PT${rule.for}') : null
          severity: contains(rule, 'alert') ? severities[rule.labels.severity] : null
          labels: contains(rule, 'labels') ? rule.labels : null
          // Azure has no external labels.
          annotations: contains(rule, 'alert') ? json(replace(string(rule.annotations), '{{ $externalLabels.runbook }}', runbookUrl)) : null
          actions: contains(rule, 'alert') && !empty(email) ? mailed : null
          resolveConfiguration: contains(rule, 'alert') ? resolved : null
        }
      ]
    }
  }
]

// Azure's own metrics, with the limit for five minutes.
var measured = [
  {
    name: 'stylestream-uploads-dead-lettered'
    description: 'Event Grid gave up on announcing uploads. See StylestreamUploadsUnannounced in the runbook.'
    scope: uploadsTopicId
    metric: 'DeadLetteredCount'
    most: 0
    severity: severities.page
  }
  {
    name: 'stylestream-uploads-delivery-failing'
    description: 'Event Grid cannot deliver to the hub of uploads, and tries again. See StylestreamUploadsUnannounced in the runbook.'
    scope: uploadsTopicId
    metric: 'DeliveryAttemptFailCount'
    most: 5
    severity: severities.ticket
  }
  {
    name: 'stylestream-uploads-dropped'
    description: 'Event Grid dropped announcements of uploads. See StylestreamUploadsUnannounced in the runbook.'
    scope: uploadsTopicId
    metric: 'DroppedEventCount'
    most: 0
    severity: severities.page
  }
  {
    name: 'stylestream-hubs-throttled'
    description: 'Event Hubs throttles: add throughput units. See StylestreamSlowStage in the runbook.'
    scope: eventHubsId
    metric: 'ThrottledRequests'
    most: 100
    severity: severities.ticket
  }
  {
    name: 'stylestream-hubs-failing'
    description: 'Event Hubs responds with server errors. See StylestreamDependencyAway in the runbook.'
    scope: eventHubsId
    metric: 'ServerErrors'
    most: 100
    severity: severities.ticket
  }
]

resource platform 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for item in measured: {
    name: item.name
    location: 'global'
    tags: tags
    properties: {
      enabled: true
      description: item.description
      severity: item.severity
      scopes: [
        item.scope
      ]
      evaluationFrequency: 'PT1M'
      windowSize: 'PT5M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'too-many'
            metricName: item.metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: item.most
          }
        ]
      }
      actions: empty(email) ? [] : mailed
    }
  }
]
