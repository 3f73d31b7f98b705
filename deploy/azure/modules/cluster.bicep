// The Kubernetes cluster: Entra sign-in alone, workload identity, KEDA, metrics and logs collected.
// Its system pool also runs the splitter and the assembler; stylizers have pools of their own.

param name string
param location string
param tags object

@description('Identity of the control plane, and its object id.')
param identityId string
param identityPrincipalId string

param nodesSubnetId string
param logsId string

@description('Version such as 1.33; empty: what AKS takes by default.')
param kubernetesVersion string

@allowed([
  'Free'
  'Standard'
])
param tier string

param systemVmSize string
param systemMinNodes int
param systemMaxNodes int

@description('Whether the machines\' own disks are encrypted, too; a feature to be registered first.')
param hostEncryption bool

@description('Public IPv4 ranges that reach the API server; empty: all, and Entra alone decides.')
param apiServerIpRanges array

@description('Role ids by name, from access.json.')
param roles object

var onlyFromRanges = {
  authorizedIPRanges: apiServerIpRanges
}

resource nodes 'Microsoft.Network/virtualNetworks/subnets@2024-07-01' existing = {
  name: '${split(nodesSubnetId, '/')[8]}/${split(nodesSubnetId, '/')[10]}'
}

// A cluster in a network of ours has to be allowed to join its nodes to it.
resource mayJoin 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: nodes
  name: guid(nodes.id, identityPrincipalId, 'join')
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Network Contributor'])
  }
}

resource cluster 'Microsoft.ContainerService/managedClusters@2025-07-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Base'
    tier: tier
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    dnsPrefix: name
    kubernetesVersion: empty(kubernetesVersion) ? null : kubernetesVersion
    nodeResourceGroup: '${resourceGroup().name}-nodes'
    enableRBAC: true
    disableLocalAccounts: true
    aadProfile: {
      managed: true
      enableAzureRBAC: true
    }
    apiServerAccessProfile: empty(apiServerIpRanges) ? null : onlyFromRanges
    oidcIssuerProfile: {
      enabled: true
    }
    securityProfile: {
      workloadIdentity: {
        enabled: true
      }
      imageCleaner: {
        enabled: true
        intervalHours: 48
      }
    }
    workloadAutoScalerProfile: {
      keda: {
        enabled: true
      }
    }
    azureMonitorProfile: {
      metrics: {
        enabled: true
        kubeStateMetrics: {
          metricLabelsAllowlist: ''
          metricAnnotationsAllowList: ''
        }
      }
    }
    addonProfiles: {
      omsagent: {
        enabled: true
        config: {
          logAnalyticsWorkspaceResourceID: logsId
          useAADAuth: 'true'
        }
      }
    }
    autoUpgradeProfile: {
      upgradeChannel: 'patch'
      nodeOSUpgradeChannel: 'NodeImage'
    }
    autoScalerProfile: {
      // An idle GPU costs as much as a busy one: give it back sooner than after the default 10 minutes.
      'scale-down-unneeded-time': '5m'
      'scale-down-delay-after-add': '5m'
    }
    networkProfile: {
      networkPlugin: 'azure'
      networkPluginMode: 'overlay'
      networkDataplane: 'cilium'
      networkPolicy: 'cilium'
      loadBalancerSku: 'standard'
      outboundType: 'loadBalancer'
      podCidr: '10.244.0.0/16'
      serviceCidr: '172.16.0.0/16'
      dnsServiceIP: '172.16.0.10'
    }
    agentPoolProfiles: [
      {
        name: 'system'
        type: 'VirtualMachineScaleSets'
        mode: 'System'
        osType: 'Linux'
        vmSize: systemVmSize
        enableAutoScaling: true
        count: systemMinNodes
        minCount: systemMinNodes
        maxCount: systemMaxNodes
        maxPods: 60
        enableEncryptionAtHost: hostEncryption
        vnetSubnetID: nodesSubnetId
        upgradeSettings: {
          maxSurge: '33%'
        }
      }
    ]
  }
  dependsOn: [
    mayJoin
  ]
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: cluster
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      // Who changed what, without the reads, which are most of the audit log.
      {
        category: 'kube-audit-admin'
        enabled: true
      }
      // Why a GPU node came, went, or could not be had.
      {
        category: 'cluster-autoscaler'
        enabled: true
      }
    ]
  }
}

output name string = cluster.name
output issuer string = cluster.properties.oidcIssuerProfile.issuerURL
output kubeletPrincipalId string = cluster.properties.identityProfile.kubeletidentity.objectId
